"""The page of a run, `report.html`: how training goes or went, made of the files of its folder alone."""
