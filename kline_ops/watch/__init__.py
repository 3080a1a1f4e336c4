"""Is it well? State files, the registry of sessions, and what evidence comes to.

Everything that ``status`` needs is in here, and imports nothing but the standard library.
"""
