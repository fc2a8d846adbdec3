"""Short plays, one a capability: `python -m prediction_services story NAME`, some ten seconds each.

Each runs real models on real flights behind a real router, says what happens, and fails if what has
to happen does not.
"""

TITLES = {
    "automation": "people hand a route to a model, level by level, and keep what is doubtful",
    "table": "a table with a column shifted is taken back in the shadow",
    "cache": "a question is asked once, and nothing is given of a version that was taken back",
    "score": "recorded requests judge a version before anybody meets it",
    "set": "two versions behind one endpoint, told apart by what they are asked",
}
"""What each tells; the plays are in `command.PLAYS`."""
