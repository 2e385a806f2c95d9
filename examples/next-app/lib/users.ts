// The users of the local stack. A real app has a table of them.

export interface User {
  id: string;
  name: string;
  email: string;
}

export const USERS: readonly User[] = ["Ana", "Bruno", "Carla", "Diego", "Elena", "Fermin", "Gala"].map((name) => {
  const id = name.toLowerCase();
  return { id, name, email: `${id}@example.com` };
});

export const userById = (id: string | undefined): User | null => USERS.find((user) => user.id === id) ?? null;
