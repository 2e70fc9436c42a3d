"""Downloads a list of URLs as the study did: started by `make bench-download` in a process of its own."""

import multiprocessing
import sys
from pathlib import Path

import requests

from benchmarks.download_spent import spending


def save(job: tuple[str, Path]) -> None:
    """Saves whatever is answered with 200, under the name that the URL has."""
    url, folder = job
    try:
        answer = requests.get(url, timeout=1)
    except requests.RequestException:
        return
    if answer.status_code == 200:
        (folder / url.rsplit("/", 1)[-1]).write_bytes(answer.content)


def main() -> None:
    """Takes the file with the URLs and the folder."""
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True)
    urls = Path(sys.argv[1]).read_text().split()
    with spending(), multiprocessing.Pool(8) as pool:
        pool.map(save, [(url, folder) for url in urls])
        pool.close()
        pool.join()


if __name__ == "__main__":
    main()
