// What the app and the fake tenant call things.

export const CLIENT = "00000000-0000-4000-8000-000000000001";
export const TENANT = "00000000-0000-4000-8000-000000000002";
export const AUTHORITY = `https://app.example/${TENANT}`;
export const SCOPE = "api://app/read";

export const METADATA = {
  issuer: `${AUTHORITY}/v2.0`,
  authorization_endpoint: `${AUTHORITY}/oauth2/v2.0/authorize`,
  token_endpoint: `${AUTHORITY}/oauth2/v2.0/token`,
  end_session_endpoint: `${AUTHORITY}/oauth2/v2.0/logout`,
  jwks_uri: `${AUTHORITY}/discovery/v2.0/keys`,
};
