"""Keeping data flowing: connections, and how one takes over from another."""
