const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** Where to post, and with which headers: fetch takes no address that has a user's name or password in it. */
export function endpointOf(
  address: string,
  given: Readonly<Record<string, string>>,
): { readonly url: URL; readonly headers: Headers } {
  const url = new URL(address);
  const headers = new Headers(given);
  const { username, password } = url;
  url.username = '';
  url.password = '';
  if ((username || password) && !headers.has('authorization')) {
    const credentials = Buffer.from(`${decoded(username)}:${decoded(password)}`);
    headers.set('authorization', `Basic ${credentials.toString('base64')}`);
  }
  headers.set('content-type', 'application/json');
  return { url, headers };
}
