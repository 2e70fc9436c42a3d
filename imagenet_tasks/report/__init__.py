"""The report: charts and the page."""
