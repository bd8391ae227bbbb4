"""starrec: a recommender that reasons like a team of agents and answers like a single model.

It implements STAR (Wu et al., *Internalizing Multi-Agent Reasoning for Accurate and Efficient LLM-based
Recommendation*, arXiv 2602.09829). Packages are floors: each imports only from the floors below it, and data
flows one way, from interactions through graph, evidence, teacher and trajectories to student and ranking.
"""

__version__ = "0.1.0"
