"""Work for a crew of processes: it sleeps, so that a test can end it in its middle."""

import os
import time
from typing import Any


def doze(holds: Any, seconds: float) -> int:
    """Sleep, and return how much this process gives way."""
    time.sleep(seconds)
    return os.getpriority(os.PRIO_PROCESS, 0)
