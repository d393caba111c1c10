"""One module per measurement; each has `measure(settings)`, which returns a `report.Section`."""
