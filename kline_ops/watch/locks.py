"""Who holds the lock of a candle file, as the kernel says it (proc(5), ``/proc/locks``).

Asked without a lock of our own: one taken for a moment, to see whether it is free, would turn away a
recorder that begins in that moment.
"""

from __future__ import annotations

import os
from pathlib import Path


def lock_holder(csv: str) -> int | None:
    """The pid that has locked ``….csv.lock``; None where nobody has, or it can not be told."""
    try:
        told = Path(f"{csv}.lock").stat()
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    # ``1: FLOCK  ADVISORY  WRITE 1234 fd:01:131090 0 EOF``
    place = f"{os.major(told.st_dev):02x}:{os.minor(told.st_dev):02x}:{told.st_ino}"
    for line in lines:
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == place:
            pid = int(fields[4])
            return pid if pid > 0 else None  # of another namespace
    return None
