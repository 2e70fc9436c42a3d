"""What no kept run refers to: found, told, and removed when asked (`python -m imagenet_tasks prune`)."""

from imagenet_tasks.retention.plan import Plan, Rules, make_plan
from imagenet_tasks.retention.removal import Removed, carry_out
from imagenet_tasks.retention.telling import plan_table, said_of_end, said_of_plan, said_of_removed

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
