"""What is wrong with a candidate of the sample: the shares of the web's faults, and which candidate has which."""

import hashlib

from imagenet_tasks.artifacts.kinds import DRAWN_PICTURE

CANDIDATES_PER_CLASS = 1500

# Shares of all candidates. The web that ImageNet's URL lists point to is worse (a third and more are gone); these
# leave enough good pictures in a short list and still show every fault in a demo of some hundred candidates.
FAULT_SHARES: dict[str, float] = {
    "gone": 0.08,  # 404, and 410 for a quarter of them
    "placeholder": 0.05,  # 302 to the picture that says "no longer available"
    "html": 0.025,  # status 200 and a page instead of a picture
    "truncated_transfer": 0.015,  # the connection closes before Content-Length is reached, each time
    "half_picture": 0.005,  # Content-Length is right, the file was cut before it was stored
    "slow": 0.03,  # 0.5 to 1.5 s, then the good picture
    "stalled": 0.003,  # one byte every half second, for up to 20 s
    "unavailable_once": 0.015,  # 503 on the first request, good afterwards
    "duplicate": 0.015,  # the bytes of another candidate of the class
}


def draw_unit(*key: object) -> float:
    """Returns a number in [0, 1) that belongs to `key`: the same in every process."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def fault_of(class_id: str, index: int, seed: int = 0) -> str | None:
    """Returns the fault of a candidate, a key of `FAULT_SHARES`, or None where it is a good picture."""
    remaining = draw_unit("fault", seed, class_id, index)
    for fault, share in FAULT_SHARES.items():
        remaining -= share
        if remaining < 0:
            return fault
    return None


def served_index(class_id: str, index: int, seed: int = 0) -> int:
    """Returns the number of the picture that a candidate shows: its own, or a good one's where it is a duplicate."""
    if fault_of(class_id, index, seed) != "duplicate":
        return index
    step = 1 + int(draw_unit("twin", seed, class_id, index) * 40)
    twin = (index + step) % CANDIDATES_PER_CLASS
    while fault_of(class_id, twin, seed) is not None:
        twin = (twin + 1) % CANDIDATES_PER_CLASS
    return twin


def picture_name(class_id: str, index: int, seed: int = 0) -> str:
    """Returns the file name of a candidate, such as `0042_7f3a91.jpg`. PNG files carry it too, as on the web.

    Drawings of another version have other names: so a home that has the ones before asks for the new ones.
    """
    key = f"name\0{DRAWN_PICTURE.version}\0{seed}\0{class_id}\0{index}"
    tag = hashlib.sha256(key.encode()).hexdigest()[:6]
    return f"{index:04d}_{tag}.jpg"
