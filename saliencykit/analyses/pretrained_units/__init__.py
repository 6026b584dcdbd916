"""Units that know what is salient before they saw a fixation (notebook 02)."""
