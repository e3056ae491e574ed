"""What the evidence of one run supports, contradicts or leaves open, on one page: from tables alone."""
