"""Downloads a class with this project's `download_class`: started by `make bench-download` as its own process."""

import sys

from benchmarks.download_spent import spending
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.settings.classes import find_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.progress import Progress

CLASS_ID = "n02510455"


def main() -> None:
    """Takes the server's address, the folder, how many pictures are good, and how many threads."""
    address, folder, count, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    settings = DownloadConfig(
        source="sample",
        location=address,
        images_per_class=count,
        download_threads=threads,
        max_requests_per_host=threads,
        allowed_private_hosts=("127.0.0.1",),
    )
    progress = Progress(task="download_class", item="", label="bench", total=count, unit="pictures", listeners=())
    with spending():
        ref, _ = download_class(Store(folder), settings, find_class(CLASS_ID), progress=progress)
    print(ref.as_dict())


if __name__ == "__main__":
    main()
