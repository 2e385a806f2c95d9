// What Cloudflare and Supabase publish of their prices and limits, in US dollars. Each with where it stands; read from
// stored copies of these pages, the newest that could be had, since the pages themselves were out of reach.

export const READ_ON = "2026-11-25";

export const CLOUDFLARE = {
  sources: [
    "https://developers.cloudflare.com/workers/platform/pricing/",
    "https://developers.cloudflare.com/workers/platform/limits/",
    "https://developers.cloudflare.com/queues/platform/pricing/",
    "https://developers.cloudflare.com/queues/platform/limits/",
  ],
  /** Fetches of one invocation that wait at once. */
  width: 6,
  consumers: 250,
  /** To write, read and delete a message. */
  operationsOfAMessage: 3,
  free: { requestsADay: 100_000, fetches: 50, cpuMs: 10, operationsADay: 10_000 },
  paid: {
    month: 5,
    fetches: 10_000,
    requests: { included: 10e6, perMillion: 0.3 },
    cpuMs: { included: 30e6, perMillion: 0.02 },
    operations: { included: 1e6, perMillion: 0.4 },
  },
};

export const SUPABASE = {
  sources: [
    "https://supabase.com/docs/guides/platform/compute-and-disk",
    "https://supabase.com/docs/guides/platform/billing-on-supabase",
  ],
  free: { databaseBytes: 500e6, egressBytes: 5e9 },
  pro: {
    month: 25,
    /** Pays for a Micro. */
    computeCredit: 10,
    disk: { includedBytes: 8e9, perGigabyte: 0.125 },
    egress: { includedBytes: 250e9, perGigabyte: 0.09 },
  },
  /** Sustained: below Large more can be had for a while. */
  sizes: [
    { name: "Micro", month: 10, cores: 2, memoryBytes: 1e9, iops: 500 },
    { name: "Small", month: 15, cores: 2, memoryBytes: 2e9, iops: 1_000 },
    { name: "Medium", month: 60, cores: 2, memoryBytes: 4e9, iops: 2_000 },
    { name: "Large", month: 110, cores: 2, memoryBytes: 8e9, iops: 3_600 },
    { name: "XL", month: 210, cores: 4, memoryBytes: 16e9, iops: 6_000 },
    { name: "2XL", month: 410, cores: 8, memoryBytes: 32e9, iops: 12_000 },
    { name: "4XL", month: 960, cores: 16, memoryBytes: 64e9, iops: 20_000 },
    { name: "8XL", month: 1_870, cores: 32, memoryBytes: 128e9, iops: 40_000 },
    { name: "16XL", month: 3_730, cores: 64, memoryBytes: 256e9, iops: 80_000 },
  ],
};
