import { redirect } from "next/navigation";
import { signIn } from "@/app/actions";
import { language } from "@/lib/language";
import { signedInUser } from "@/lib/session";
import { isDemo } from "@/lib/settings";
import { TEXTS } from "@/lib/texts";
import { USERS } from "@/lib/users";

export default async function SignIn() {
  if (await signedInUser()) redirect("/");
  const texts = TEXTS[await language()];
  return (
    <main id="content" className="page narrow">
      <div className="hero">
        <p className="tagline">{texts.tagline}</p>
        <h1>{texts.signInTitle}</h1>
      </div>
      <p className="notice">{isDemo() ? texts.signInNote : texts.signInOff}</p>
      {isDemo() && (
        <form className="people" action={signIn}>
          {USERS.map(({ id, name, email }) => (
            <button key={id} type="submit" name="user" value={id}>
              <span className="avatar" aria-hidden="true">
                {name.charAt(0)}
              </span>
              <span>
                <strong>{email}</strong>
                <span className="muted">{texts.fates[id]}</span>
              </span>
            </button>
          ))}
        </form>
      )}
    </main>
  );
}
