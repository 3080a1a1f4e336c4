"""What ``service.py`` makes a recording session of: its parts, and what is done beside the recording."""
