// No contestant: reads a page to its end and looks for nothing. What all pay for the stream alone.

export async function extract(response: Response) {
  const chunks = response.body?.getReader();
  let count = 0;
  while (chunks && !(await chunks.read()).done) count += 1;
  return { count };
}
