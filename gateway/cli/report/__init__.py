"""A run's report and picture. `record` is what a run fills in, `page.render` and `picture.draw` make the files."""
