"""What no kept run refers to: found, told, and removed when asked (`python -m imagenet_tasks prune`)."""

from imagenet_tasks.prune.plan import Plan, Rules, make_plan
from imagenet_tasks.prune.removal import Removed, carry_out
from imagenet_tasks.prune.telling import plan_table, said_of_end, said_of_plan, said_of_removed

__all__ = [
    "Plan",
    "Removed",
    "Rules",
    "carry_out",
    "make_plan",
    "plan_table",
    "said_of_end",
    "said_of_plan",
    "said_of_removed",
]
