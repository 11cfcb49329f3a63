/** The GraphQL API. */

import { Elysia } from "elysia";
import { createSchema, createYoga } from "graphql-yoga";
import { release } from "./release";
import type { Services } from "./services";

const typeDefs = /* GraphQL */ `
  type Job {
    id: ID!
    times: Int!
    release: String!
  }

  type Query {
    "The release that answers."
    release: String!
    echo(text: String!): String!
    "What workers have done, since a moment in ISO 8601."
    jobs(since: String!): [Job!]!
  }
`;

export const graphql = (services: Services) => {
  const yoga = createYoga({
    schema: createSchema({
      typeDefs,
      resolvers: {
        Query: {
          release: () => release,
          echo: (_: unknown, { text }: { text: string }) => text,
          jobs: (_: unknown, { since }: { since: string }) => services.jobs.since(new Date(since)),
        },
      },
    }),
    logging: "warn",
  });
  return new Elysia().all("/graphql", ({ request }) => yoga.fetch(request), { parse: "none" });
};
