"""What no kept run refers to: found, told, and removed when asked (`python -m imagenet_tasks prune`)."""

from imagenet_tasks.prune.plan import Rules, make_plan
from imagenet_tasks.prune.printing import plan_lines, plan_table, summary_of_plan, summary_of_removal
from imagenet_tasks.prune.removal import carry_out

__all__ = ["Rules", "carry_out", "make_plan", "plan_lines", "plan_table", "summary_of_plan", "summary_of_removal"]
