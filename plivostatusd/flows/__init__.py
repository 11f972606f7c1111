"""The daemon's stories, told without HTTP and without SQL."""
