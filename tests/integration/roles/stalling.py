"""The product's own command line, of which one process stands still once: its event loop stops at a point of its work.

`AVTALSMOTOR_STALL` names the point and a file: whoever makes the file stands still, all others work.
"""

import os
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

from avtalsmotor.cli import main
from producers.run import Producer
from workers.invoicing import Create

STALL = "AVTALSMOTOR_STALL"

POINTS: dict[str, tuple[Any, str]] = {
    "before the claim": (Create, "prepare"),
    "after the answer": (Create, "judge"),
    "before a listing": (Producer, "_list"),
}


def _stand_still_before(original: Callable[..., Awaitable[Any]], once: Path) -> Callable[..., Awaitable[Any]]:
    @wraps(original)
    async def standing(*args: Any, **kwargs: Any) -> Any:
        if _is_first(once):
            time.sleep(3600)  # noqa: ASYNC251 - that is the fault
        return await original(*args, **kwargs)

    return standing


def _is_first(once: Path) -> bool:
    try:
        once.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


if __name__ == "__main__":
    point, file = os.environ[STALL].split("@")
    owner, name = POINTS[point]
    setattr(owner, name, _stand_still_before(getattr(owner, name), Path(file)))
    main()
