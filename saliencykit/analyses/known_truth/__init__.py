"""Does the analysis find what is there? (notebook 08)"""
