"""People in the loop, as arithmetic: how sure a version is, whom to ask, whether people agree."""
