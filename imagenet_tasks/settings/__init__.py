"""The settings of a run: a dataclass per stage, the profiles that fill them, the class catalogue."""
