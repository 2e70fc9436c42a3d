"""What the pages in Airflow show: read from a run's files, drawn without scripts. plugins/ serves them."""
