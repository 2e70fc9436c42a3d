"""Which of these tests take too long for `make test`: the runs that are killed."""

from fakes import hostile

collect_ignore = [] if hostile.FULL else ["test_kills.py"]
