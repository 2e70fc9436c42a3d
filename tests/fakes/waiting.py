"""How long tests wait for real servers."""

PATIENCE_S = 900.0  # a machine that is busy with other tests takes ten times as long as an idle one
