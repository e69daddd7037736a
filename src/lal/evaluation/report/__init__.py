"""reports/gold.html: the scores and the answers behind them, on one page that needs nothing else."""
