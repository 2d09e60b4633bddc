"""The product's roles as the chaos suite starts them: `python -m tests.chaos.role worker` or `producer`.

They are the real entries, `workers.pools.work` and `producers.run.produce`, with the points laid around the worker's
functions and a few constants of hours and minutes set as the run's times are. Nothing of what they do is replaced.
"""

import ctypes
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from common import logs
from common.queue.messages import POOLS
from common.settings import Settings

ARMS = "AVTALSMOTOR_CHAOS_ARMS"
"""The environment's name for the folder of `points.Arms`."""

TIMES_ARE = "AVTALSMOTOR_CHAOS_TIMES"
"""The environment's name for the name of the run's times, as `times.TIMES` has it."""

_PR_SET_PDEATHSIG = 1


def main(role: str) -> None:
    """Runs the role until it is told to stop, or struck."""
    if sys.platform == "linux":
        # A frozen process would not hear the SIGTERM that the kernel sends when the controller dies.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    settings = Settings()
    assert settings.redis_url is not None
    logs.configure(settings, role)
    redis_url = settings.redis_url.get_secret_value()
    if role == "worker":
        _work(settings, redis_url)
    else:
        _produce(settings, redis_url)


def _work(settings: Settings, redis_url: str) -> None:
    from common.queue import broker
    from tests.chaos import points
    from tests.chaos.times import TIMES
    from workers import evidence, pools

    times = TIMES[os.environ[TIMES_ARE]]
    defaults = broker.make_broker.__kwdefaults__
    assert defaults is not None
    defaults["heartbeat_timeout"] = timedelta(seconds=times.heartbeat)
    evidence.HELD_FOR = times.look_held_for
    evidence.FINANCE_OPEN_WITHIN = timedelta(seconds=60)
    pools.THREADS = {"invoicing": 3, "bookkeeping": 3, "delivery": 3, "evidence": 2, "pricing": 1}
    points.lay(points.Arms(Path(os.environ[ARMS])))
    pools.work(settings, redis_url, list(POOLS))


def _produce(settings: Settings, redis_url: str) -> None:
    from producers import feeder, run
    from tests.chaos.times import TIMES

    times = TIMES[os.environ[TIMES_ARE]]
    run.RETRY_POLL_AFTER = times.retry_poll_after
    feeder.LOOK_AT_LEAST_EVERY = times.looks_at_least_every
    run.produce(settings, redis_url)


if __name__ == "__main__":
    main(sys.argv[1])
