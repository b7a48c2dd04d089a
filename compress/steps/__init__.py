"""Steps are files in, files out: `step(...) -> StepOutput` writes only into the folder it is given."""
