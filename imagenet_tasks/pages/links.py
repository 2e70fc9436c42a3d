"""The links of a report to other pages: its file says where they lead, and only who serves it knows their addresses."""

import html
import re

from imagenet_tasks.pages.wording import segment

PLACEHOLDER = re.compile(r'<span class="out" data-to="([a-z]+) ([^"]*)">([^<]*)</span>')


def with_links(report: str, *, root: str, dag_id: str, run_id: str) -> str:
    """Returns a report's page with its placeholders as links; what leads nowhere stays plain text.

    Args:
        report: the page as its run wrote it.
        root: of the pages' addresses.
        dag_id: of the run.
        run_id: the same.
    """

    def link(found: re.Match[str]) -> str:
        kind, what, text = found[1], html.unescape(found[2]), found[3]
        own = f"{root}/report/{segment(dag_id)}/{segment(run_id)}"
        if kind == "file":
            address = f"{own}/artifacts?file={segment(what)}"
        elif kind == "pictures":
            task, _, class_id = what.partition(" ")
            address = f"{own}/pictures/download_class/{segment(task)}?class={segment(class_id)}"
        elif kind == "compare":
            address = f"{root}/runs/{segment(dag_id)}/compare?a={segment(run_id)}&b={segment(what)}"
        elif kind == "run":
            address = f"{root}/report/{segment(dag_id)}/{segment(what)}"
        else:
            return text
        return f'<a href="{html.escape(address)}"{" download" if kind == "file" else ""}>{text}</a>'

    return PLACEHOLDER.sub(link, report)
