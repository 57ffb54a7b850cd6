"""The vocabulary of a discontinued service, for those who come from it.

Amazon Lookout for Vision ended on 31 October 2025. Its users know projects with data sets of
normal and anomalous pictures, model versions that are trained, started and asked. Here a project
is a product, a model version is a version of it, and everything is judged by the same judge. The
names and forms follow the public reference of its API (version 2020-11-20).
"""
