/** The rating of an answer: a thumb up, or a thumb down with a reason. */

import { useState } from "preact/hooks";
import type { Feedback } from "../api/types.ts";
import { notify, report } from "../state/notices.ts";
import { api } from "../state/session.ts";
import { t } from "../text/index.ts";
import { Form, IconButton } from "./controls.tsx";
import { Dialog, openDialog } from "./overlays.tsx";

export function FeedbackButtons({ messageId, given }: { messageId: string; given: Feedback | null }) {
  const [feedback, setFeedback] = useState(given);
  const path = `messages/${messageId}/feedback`;
  const rate = async (rating: Feedback["rating"], reason: string | null) => {
    setFeedback(await api.put<Feedback>(path, { rating, reason }));
    notify(t.feedback.thanks);
  };
  const withdraw = () => api.delete(path).then(() => setFeedback(null));
  const choose = (rating: Feedback["rating"]) => {
    if (feedback?.rating === rating) withdraw().catch(report);
    else if (rating === "good") rate("good", null).catch(report);
    else openDialog((close) => <Reason onSave={(reason) => rate("bad", reason || null)} onClose={close} />);
  };
  return (
    <>
      <IconButton
        icon="thumbUp"
        label={t.feedback.good}
        pressed={feedback?.rating === "good"}
        onClick={() => choose("good")}
      />
      <IconButton
        icon="thumbDown"
        label={t.feedback.bad}
        pressed={feedback?.rating === "bad"}
        onClick={() => choose("bad")}
      />
    </>
  );
}

function Reason({ onSave, onClose }: { onSave: (reason: string) => Promise<void>; onClose: () => void }) {
  const save = ({ reason = "" }: Record<string, string>) => onSave(reason.trim()).then(onClose);
  return (
    <Dialog title={t.feedback.question} onClose={onClose}>
      <Form submit={t.feedback.send} onSubmit={save}>
        <div class="field">
          <textarea
            name="reason"
            aria-label={t.feedback.question}
            rows={4}
            maxLength={2000}
            placeholder={t.feedback.placeholder}
          />
        </div>
        <p class="hint">{t.feedback.hint}</p>
      </Form>
    </Dialog>
  );
}
