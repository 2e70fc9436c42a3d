"""What each task of the graph does: loads the run's settings, calls its stage, keeps a record, says what matters.

The workflow engine and the command line (`runner`) call the same functions; `workflow/graph.py` says in which module
each is. Values that go in and out are small plain JSON.
"""
