"""Tasks as data: tokens, labels, which rows are train, which position is answered, which algebra lies behind."""
