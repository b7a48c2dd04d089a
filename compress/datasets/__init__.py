"""One source of radiographs a file; all give the same `Dataset` of `Case`s."""
