"""What no kept run refers to: found, told, and removed when asked (`python -m imagenet_tasks prune`)."""

from imagenet_tasks.prune.plan import Plan, Rules, make_plan
from imagenet_tasks.prune.printing import plan_lines, plan_table, summary_of_plan, summary_of_removal
from imagenet_tasks.prune.removal import Removed, carry_out

__all__ = [
    "Plan",
    "Removed",
    "Rules",
    "carry_out",
    "make_plan",
    "plan_lines",
    "plan_table",
    "summary_of_plan",
    "summary_of_removal",
]
