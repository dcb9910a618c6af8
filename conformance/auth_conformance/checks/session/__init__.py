"""SES: session cookies and what stands behind them."""
