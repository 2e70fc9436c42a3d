"""Downloads a list of URLs with img2dataset: started by `make bench-download` with the Python of its environment."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from download_spent import spending
from img2dataset.downloader import Downloader
from img2dataset.main import download


class Measured(Downloader):
    """Measures in the worker process: from its list of URLs to the last picture, without any imports."""

    def download_shard(self, row):
        with spending():
            return super().download_shard(row)


def main() -> None:
    """Takes the file with the URLs, the folder, the numbers of threads and of attempts, and 'raw' or 'defaults'."""
    raw = sys.argv[5] == "raw"
    sys.modules["img2dataset.main"].Downloader = Measured  # img2dataset.main itself is a function of that name
    download(
        url_list=sys.argv[1],
        input_format="txt",
        output_folder=sys.argv[2],
        output_format="files",
        resize_mode="no",
        skip_reencode=raw,  # the bytes stay as they came, as ours do; they are decoded all the same
        extract_exif=not raw,
        processes_count=1,
        thread_count=int(sys.argv[3]),
        retries=int(sys.argv[4]) - 1,
        timeout=8,
        enable_wandb=False,
        min_image_size=24,
        max_aspect_ratio=8,
    )


if __name__ == "__main__":
    main()
