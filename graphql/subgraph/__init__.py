"""The federated GraphQL subgraph: Strawberry types, resolvers and loaders over the read model."""
