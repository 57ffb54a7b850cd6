"""Zero- and few-shot anomaly methods: one file each, all of them `Inspector`s."""
