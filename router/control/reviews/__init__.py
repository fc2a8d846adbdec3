"""The queue of questions for people: kept on disk, given out once, answered, told of."""
