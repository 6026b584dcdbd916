"""Is it the task or the images that changes a network? (notebook 05)"""
