"""Many runs as one: a grid of recipes, where its runs are trained, and the tables over all of them."""
