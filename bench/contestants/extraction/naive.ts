// The regular expression that is written first: for double quotes, without blanks, the first call counts.

export async function extract(response: Response) {
  const text = await response.text();
  const token = text.match(/localStorage\.setItem\("refreshToken", ?"([^"]+)"\)/)?.[1];
  const fingerprint = text.match(/localStorage\.setItem\("fingerprint", ?"([^"]+)"\)/)?.[1];
  return { token, fingerprint };
}
