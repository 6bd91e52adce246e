/** Passkeys (WebAuthn): the browser's part of adding one and of signing in with one. */

import { ApiError } from "../api/errors.ts";
import type { LoginOptions } from "../api/types.ts";
import { api, signIn } from "./session.ts";

interface Options<Kind> {
  public_key: Kind;
}

/** Whether this page belongs to the site of the server's passkeys, and the browser knows passkeys. */
export function canUsePasskeys({ passkey_rp_id: site }: LoginOptions): boolean {
  if (!site || !window.PublicKeyCredential?.parseRequestOptionsFromJSON) return false;
  return location.hostname === site || location.hostname.endsWith(`.${site}`);
}

export async function addPasskey(name: string, password: string | null): Promise<void> {
  const options = await api.post<Options<PublicKeyCredentialCreationOptionsJSON>>("auth/passkeys/begin", { password });
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.public_key);
  const credential = await answered(navigator.credentials.create({ publicKey }));
  await api.post("auth/passkeys", { name, credential });
}

/** Sign in with a passkey alone or, with the challenge of a right password, instead of the code. */
export async function signInByPasskey(challenge: string | null = null): Promise<void> {
  const path = "auth/login/passkey";
  const options = await api.sendPublic<Options<PublicKeyCredentialRequestOptionsJSON>>(`${path}/begin`, { challenge });
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.public_key);
  const credential = await answered(navigator.credentials.get({ publicKey }));
  await signIn(path, { challenge, credential });
}

/** The authenticator's answer as JSON. Browsers do not say whether the user refused, waited too long or has no passkey. */
async function answered(asked: Promise<Credential | null>): Promise<unknown> {
  try {
    const credential = await asked;
    if (credential instanceof PublicKeyCredential) return credential.toJSON();
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    if (error.name === "InvalidStateError") throw refusal("passkey_known");
  }
  throw refusal("passkey_cancelled");
}

function refusal(code: string): ApiError {
  return new ApiError({ status: 0, code, title: code });
}
