export { answerQuestions, type AnswerOptions, type AnswerResult } from "./answers.js";
export { classify, evaluateClassifier, type ClassifyOptions, type ClassSamples, type EvaluateClassifierOptions } from "./classify.js";
export { ConfusionMatrix, type Average, type ClassScores } from "./confusion.js";
export { evaluate, type EvaluateOptions, type Evaluation } from "./evaluate.js";
export { evaluateSamples, evaluateText, type EvaluateSamplesOptions, type EvaluateTextOptions, type TextEvaluation, type TextPiece } from "./evaluate-text.js";
export { findLearningRate, type FindLearningRateOptions, type RangeTestOptions } from "./find-learning-rate.js";
export { fit } from "./fit.js";
export { LearningRateCurve, type LearningRatePoint } from "./learning-rate-curve.js";
export { likelihoods, type Likelihood, type LikelihoodOptions } from "./likelihood.js";
export { lmGroups, lmSchedule, type LmOptions, type ScheduleName } from "./lm-options.js";
export { pretrain, sft, type PretrainOptions, type SftOptions, type TokenBlocks, type TokenSamples } from "./lm.js";
export { inspect, showBytes, type Inspection, type InspectOptions, type LayerInfo } from "./inspect.js";
export { mlm, type MlmOptions, type TokenRows } from "./mlm.js";
export * as metrics from "./metrics.js";
export { encodePair, multipleChoice, type Choice, type MultipleChoiceOptions, type MultipleChoiceResult, type TokenPair } from "./multiple-choice.js";
export { keysHelp, Keys, type KeyInput } from "./keys.js";
export { profile, type ProfileTrainingOptions } from "./profile.js";
export { Progress, showNumber, showTime, type Output, type StepView } from "./progress.js";
export type {
  Batch, BatchMetric, BatchSource, BatchStep, Best, Callbacks, CheckpointOptions, ConfusionMetric, CountOption, DataSource, FitOptions, FitResult, HistoryRecord, LossFunction, Metric, Metrics,
  ProbabilityMetric, Reply, SchedulerOption, StepOutcome, StopOptions, StopReason, TrainOptimizer,
} from "./types.js";
export type { WatchdogAction, WatchdogOptions } from "./watchdog.js";
