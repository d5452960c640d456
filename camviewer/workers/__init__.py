"""QThread workers: jobs in, results out. The only place where Qt meets torch."""
